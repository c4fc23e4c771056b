"""Experts: one file each, one protocol."""
