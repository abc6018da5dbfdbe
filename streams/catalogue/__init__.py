"""The catalogue of rules: read from its folder, handed on as a record, tried on its fixtures."""
