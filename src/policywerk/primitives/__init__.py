# Tangled from book/numbers.md
"""Numbers, many at once. Imports nothing from the rest of the package."""
