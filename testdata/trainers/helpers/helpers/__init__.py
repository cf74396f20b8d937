"""What the trainer of the drop pair imports from its second package."""
