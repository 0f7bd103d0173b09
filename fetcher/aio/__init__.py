"""Small asyncio building blocks: retry, shield."""
