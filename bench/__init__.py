"""What is fast, beside what a user would pick instead: `python -m bench run`."""
