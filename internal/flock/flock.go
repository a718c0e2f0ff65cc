// Package flock keeps a file for one process at a time, by a lock that ends with the process and not with a file that a crash would leave.
package flock

import "os"

// Try locks a file until it is closed. taken: another has locked it; err is then not nil either.
func Try(f *os.File) (taken bool, err error) { return try(f) }
