"""What leaves this process."""
