package journal_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sinete/peer/store/internal/journal"
)

// counted counts the syncs of a disk.
type counted struct {
	journal.Disk
	syncs atomic.Int64
}

func (c *counted) Open(name string) (journal.File, error) {
	f, err := c.Disk.Open(name)
	return &countedFile{f, c}, err
}

type countedFile struct {
	journal.File
	c *counted
}

func (f *countedFile) Sync() error {
	f.c.syncs.Add(1)
	return f.File.Sync()
}

var sizes = []int{256, 60 << 10}

// BenchmarkAppend appends and waits until it is safe, from as many goroutines as it says.
func BenchmarkAppend(b *testing.B) {
	for _, size := range sizes {
		for _, waiting := range []int{1, 100} {
			b.Run(fmt.Sprintf("%dB/%d-wait", size, waiting), func(b *testing.B) {
				d := &counted{Disk: journal.Dir(b.TempDir())}
				j, _, _ := open(b, d, journal.Mark{})
				defer closed(b, j)
				record := make([]byte, size)
				d.syncs.Store(0)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for g := range waiting {
					wg.Go(func() {
						for i := g; i < b.N; i += waiting {
							if err := j.Append(record).Wait(); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(d.syncs.Load())/float64(b.N), "syncs/op")
			})
		}
	}
}

// BenchmarkAppendUnsynced appends what need not be safe, as fast as the file takes it.
func BenchmarkAppendUnsynced(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			j, _, _ := open(b, journal.Dir(b.TempDir()), journal.Mark{})
			defer closed(b, j)
			record := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				j.AppendUnsynced(record)
			}
		})
	}
}

// BenchmarkOpen opens a journal of 64 MiB and reads it all.
func BenchmarkOpen(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			d := journal.Dir(b.TempDir())
			j, _, _ := open(b, d, journal.Mark{})
			record := make([]byte, size)
			n := 0
			for ; j.Size() < 64<<20; n++ {
				j.AppendUnsynced(record)
			}
			b.SetBytes(j.Size())
			closed(b, j)
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				j, _, err := journal.Open(d, testKey, testID, journal.Mark{}, func(journal.Position, []byte) error { got++; return nil })
				if err != nil || got != n {
					b.Fatal(got, err)
				}
				closed(b, j)
			}
		})
	}
}
