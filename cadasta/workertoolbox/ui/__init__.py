"""The page that shows scheduled tasks and their states. It needs the extra ``ui``."""
