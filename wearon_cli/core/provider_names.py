"""How the image providers are called, in settings, journal and book."""

from typing import Final

OPENAI: Final = "openai"
RUNWARE: Final = "runware"
#: Composites that are made here; nothing is bought.
PREVIEW: Final = "preview"
