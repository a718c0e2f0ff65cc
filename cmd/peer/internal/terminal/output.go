package terminal

import "io"

// Output is what others read. Nothing is shown any more once a write has failed: Lost is then called and does not return, so that nothing counts as
// shown that was not, and nothing ends well that left a part out. A pipe whose reader went away ends the program by itself (SIGPIPE), where there is that.
type Output struct {
	To   io.Writer
	Lost func(error)
}

func (o *Output) Write(b []byte) (int, error) {
	n, err := o.To.Write(b)
	if err != nil {
		o.Lost(err)
	}
	return n, err
}
