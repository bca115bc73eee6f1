"""The container that turns the executed notebook into other formats, without any credential."""
