"""Read and write the object store by `objects`, at addresses that `layout` defines."""
