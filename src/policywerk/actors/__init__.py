# Tangled from book/1957-bellman.md
"""The learners, one module a paper; each is a generator of what it knows so far."""
