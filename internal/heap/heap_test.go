package heap

import (
	"runtime"
	"testing"
)

func TestFloor(t *testing.T) {
	Floor()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if between := m.NextGC - m.HeapAlloc; between < floor {
		t.Errorf("the next collection comes %d bytes on, expected at least %d", between, floor)
	}
}
