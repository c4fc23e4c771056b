"""Front door: command line, demo and headless start; strings the floors together, holds no logic."""
