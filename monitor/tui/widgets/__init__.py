"""What the screens are made of; a widget draws what it is given and says what its user wants."""
