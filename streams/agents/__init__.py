"""The thin asynchronous shells: they fetch, call the core and emit."""
