"""The page that shows what was scheduled and what became of it. It needs the extra ``ui``."""
