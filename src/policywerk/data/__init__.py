# Tangled from book/concepts.md
"""What happened: episodes, trials over many seeds, and what they amount to."""
