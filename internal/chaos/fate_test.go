package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"

	"sinete/internal/udpproxy"
)

// aimed has a process die when it gets to a point, or by force where it does not get there in time.
func (w *world) aimed(who, file string, relay bool, kill func(), over <-chan struct{}, stderr func() string) error {
	name := w.tally.aim(relay)
	there := false
	defer func() { w.tally.died(name, there) }()
	if err := os.WriteFile(file+".new", []byte(name), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil { // so that it is never half there
		return err
	}
	defer os.Remove(file)
	select {
	case <-over:
	case <-time.After(aiming):
		kill()
		<-over
	}
	if there = strings.Contains(stderr(), "chaos: died at "+name+"\n"); there {
		w.note("killed at a point", "%s: %s", who, name)
	} else {
		w.note("killed anywhere", "%s, who did not get to: %s", who, name)
	}
	return nil
}

// aiming is how long a process may take to get to a point.
const aiming = 8 * time.Second

// suffers lives one life after the other until ctx ends.
func (p *person) suffers(ctx context.Context, random *rand.Rand) error {
	w, name := p.world, people[p.who]
	for {
		if p.now().isOver() && random.IntN(6) == 0 { // a life that hardly begins
			l, err := p.begins()
			if err != nil {
				return err
			}
			pause(ctx, time.Duration(random.IntN(4000))*time.Millisecond)
			p.kills(l, "just started")
		}
		l, err := p.logsIn(ctx)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		began := time.Now()
		for !p.met(l, 1) && time.Since(began) < 20*time.Second && pause(ctx, 20*time.Millisecond) {
		}
		w.note("talks", "%s, %v after login", name, time.Since(began).Round(time.Millisecond))
		for alive := true; alive; {
			if !pause(ctx, time.Duration(random.IntN(1500))*time.Millisecond) {
				return nil
			}
			switch n := random.IntN(8); {
			case n == 0:
				alive = p.stops(ctx, l, lasting(random), random.IntN(4) > 0)
			case n == 1:
				p.kills(l, "talking")
				alive = false
			default:
				kill := func() {
					p.force(l)
					_ = l.Signal(syscall.SIGKILL)
				}
				if err := w.aimed(name, p.aim, false, kill, l.over, l.Stderr); err != nil {
					return err
				}
				alive = false
			}
		}
	}
}

// kills ends a life.
func (p *person) kills(l *life, when string) {
	p.force(l)
	p.world.note("killed anywhere", "%s, %s", people[p.who], when)
	_ = l.Signal(syscall.SIGKILL) // it may have ended
	<-l.over
}

// stops stops a process for a while. It may never be continued, but killed.
func (p *person) stops(ctx context.Context, l *life, d time.Duration, goesOn bool) (alive bool) {
	p.world.note("stopped", "%s for %v", people[p.who], d)
	_ = l.Signal(syscall.SIGSTOP)
	pause(ctx, d)
	if !goesOn {
		p.kills(l, "stopped")
		return false
	}
	_ = l.Signal(syscall.SIGCONT)
	p.world.note("continued", "%s", people[p.who])
	return true
}

// weather is what becomes of somebody's network until ctx ends.
func (p *person) weather(ctx context.Context, random *rand.Rand) {
	w, name := p.world, people[p.who]
	for pause(ctx, time.Duration(3+random.IntN(20))*time.Second) {
		d := lasting(random)
		switch random.IntN(4) {
		case 0:
			w.note("rebound", "%s", name)
			_ = p.network.Rebind() // or it stays as it is
			continue
		case 1:
			w.note("bad weather", "%s for %v", name, d)
			p.network.Set(udpproxy.Weather{Drop: 0.05, Delay: 20 * time.Millisecond, Jitter: 50 * time.Millisecond})
		default:
			w.note("cut off", "%s for %v", name, d)
			p.network.Set(udpproxy.Weather{Cut: true})
		}
		pause(ctx, d)
		p.network.Set(udpproxy.Weather{})
		w.note("healed", "%s", name)
	}
}

// fills fills the disk of somebody's store now and then until ctx ends.
func (p *person) fills(ctx context.Context, random *rand.Rand) error {
	w, name := p.world, people[p.who]
	for pause(ctx, time.Duration(2+random.IntN(20))*time.Second) {
		d := lasting(random)
		if err := p.disk.fill(); err != nil {
			return err
		}
		w.note("disk full", "%s for %v", name, d)
		pause(ctx, d)
		if err := p.disk.empty(); err != nil {
			return err
		}
		w.note("disk has room", "%s", name)
	}
	return nil
}

// suffers restarts the relay again and again until ctx ends. Once it is stopped in order, halfway through the trouble.
func (r *relay) suffers(ctx context.Context, w *world, lasts time.Duration, random *rand.Rand) error {
	halfway := time.Now().Add(lasts / 2)
	for ordered := false; pause(ctx, time.Duration(4+random.IntN(12))*time.Second); {
		p, over := r.program, r.over
		kill := func() { _ = p.Signal(syscall.SIGKILL) }
		switch n := random.IntN(8); {
		case !ordered && time.Now().After(halfway):
			ordered = true
			w.note("stopped in order", "the relay")
			if err := p.Signal(syscall.SIGTERM); err != nil {
				return err
			}
		case n == 0:
			d := lasting(random)
			w.note("stopped", "the relay for %v", d)
			_ = p.Signal(syscall.SIGSTOP)
			pause(ctx, d)
			_ = p.Signal(syscall.SIGCONT)
			w.note("continued", "the relay")
			continue
		case n == 1:
			kill()
			w.note("killed anywhere", "the relay")
		default:
			if err := w.aimed("the relay", r.aim, true, kill, over, p.Stderr); err != nil {
				return err
			}
		}
		<-over
		if err := w.startRelay(); err != nil {
			return err
		}
	}
	return nil
}

// lasting is how long a trouble lasts: mostly a moment, seldom longer than anybody waits for an answer.
func lasting(random *rand.Rand) time.Duration {
	d := time.Duration(100+random.IntN(3000)) * time.Millisecond
	if random.IntN(10) == 0 {
		d *= 10
	}
	return d
}

// pause waits, and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
