"""The commands: parse, call the library, print, exit code. Nothing is computed here."""
