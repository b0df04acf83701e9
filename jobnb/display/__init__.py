"""How jobs look: pure functions from jobs to text and static HTML. Nothing here reads a database or draws a widget."""
