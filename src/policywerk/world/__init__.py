# Tangled from book/1957-bellman.md
"""The worlds, one module each; all of them speak Gymnasium's interface."""
