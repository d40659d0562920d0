"""What a fitted net does with fields and crosses: measured once, then told."""
