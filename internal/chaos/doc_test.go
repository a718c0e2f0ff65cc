// Package chaos has three people talk through a relay, all of them real programs, and kills, stops and cuts off each of them at random. When
// it is over, nothing may be lost, doubled, out of order, or there without anybody having written it.
//
// Most readers need TestChaos, and judge, which says what must hold.
package chaos
