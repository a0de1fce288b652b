"""Other programs that judge texts of a language."""
