"""The object store: `objects` reads and writes, `layout` knows where everything lies."""
