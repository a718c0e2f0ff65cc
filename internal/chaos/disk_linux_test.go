package chaos

import (
	"fmt"
	"syscall"
)

// smallDisk is a file system of its own, which can be full.
type smallDisk string

const roomy = 1 << 30 // bytes

func mountDisk(dir string) (smallDisk, error) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", roomy)); err != nil {
		return "", fmt.Errorf("mounting a small disk, which takes root: %w", err)
	}
	return smallDisk(dir), nil
}

// fill leaves no room for anything.
func (d smallDisk) fill() (err error) {
	for range 100 { // it may grow meanwhile, and cannot be made smaller than it is
		var s syscall.Statfs_t
		if err = syscall.Statfs(string(d), &s); err != nil {
			return err
		}
		if err = d.resize((int64(s.Blocks) - int64(s.Bfree)) * s.Bsize); err != syscall.EINVAL {
			return err
		}
	}
	return err
}

// empty makes room again.
func (d smallDisk) empty() error { return d.resize(roomy) }

func (d smallDisk) resize(bytes int64) error {
	return syscall.Mount("tmpfs", string(d), "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", bytes))
}

func (d smallDisk) unmount() error { return syscall.Unmount(string(d), syscall.MNT_DETACH) }
