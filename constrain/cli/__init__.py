"""The command line: one module per command, and what they share.

Nothing here imports torch before a command needs a model or a tokenizer.
"""
