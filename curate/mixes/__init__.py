"""A mix: its components measured, gated, merged, drawn, packed and laid out, and its plan read again."""
