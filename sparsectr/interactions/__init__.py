"""What a discovered cross is, and what one can do with it. No torch."""
