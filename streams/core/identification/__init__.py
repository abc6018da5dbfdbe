"""Who is whom: links between identifiers, the canonical customer, and what moves when it changes. Pure."""
