"""The nnU-Net expert, and what it shares with others whose networks are nnU-Net's."""
