"""The container that exports the executed notebook to other formats, without any credential."""
