//! The stream is kept for as long as nodes need it, and not longer, whatever the server's clock does.
