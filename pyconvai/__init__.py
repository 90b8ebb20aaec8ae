"""The engine behind app_elevenlabs_convai: an ElevenLabs agent on the other end of a phone call.

Importing this package imports nothing else, so that the mock agent (``pyconvai.mock``) runs where
the compiled core is not built.
"""

__version__ = "0.1.0"
