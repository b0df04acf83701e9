"""The pages of the monitor, one a module."""
