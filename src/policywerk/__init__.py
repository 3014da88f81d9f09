# Tangled from book/intro.md
"""Reinforcement learning, from 1.0 + 1.0 to world models; see the book."""
