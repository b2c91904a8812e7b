"""The way out of one connection: frames, straight to the kernel where nothing waits before them."""

class Outlet:
    """Writes the frames of one connection, several in one call of the system where they come together.

    What the kernel does not take the transport keeps; it writes what is encrypted too. For other Cython code.
    """
