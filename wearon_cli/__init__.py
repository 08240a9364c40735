"""WearOn: the virtual try-on worker and its operators' CLI."""

__version__ = "0.1.0"
