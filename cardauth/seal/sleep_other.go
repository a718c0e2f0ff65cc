//go:build !linux

package seal

import "time"

func shortSleep(d time.Duration) { time.Sleep(d) }
