"""From USD to a Scene of plain arrays; the only part of the renderer that sees USD."""
