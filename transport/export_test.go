package transport

// Lent reports whether the reader has a buffer. It is for while nothing comes.
func (s *Stream) Lent() bool { return s.in != nil }
