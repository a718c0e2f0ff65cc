package channel

import (
	"encoding/json"
	"fmt"
	"io"
)

// What holds secrets says its name and nothing else, whoever prints it, with whatever verb, in whatever log.

func hide(f fmt.State, name string) { _, _ = io.WriteString(f, name) }

// Format hides the channel's secrets; so do the methods of that name below.
func (c *Channel) Format(f fmt.State, _ rune) { hide(f, "channel") }

func (l *HopLane) Format(f fmt.State, _ rune)         { hide(f, "hop lane") }
func (l ConversationLane) Format(f fmt.State, _ rune) { hide(f, "conversation lane") }
func (c core) Format(f fmt.State, _ rune)             { hide(f, "handshake") } // and whatever it is a part of
func (s Sealed) Format(f fmt.State, _ rune)           { hide(f, "sealed envelope") }
func (e epoch) Format(f fmt.State, _ rune)            { hide(f, "epoch") }
func (r ratchet) Format(f fmt.State, _ rune)          { hide(f, "ratchet") }
func (k keyShare) Format(f fmt.State, _ rune)         { hide(f, "key share") }
func (k hopKeys) Format(f fmt.State, _ rune)          { hide(f, "hop keys") }

// MarshalJSON hides the opening key.
func (s Sealed) MarshalJSON() ([]byte, error) { return json.Marshal("sealed envelope") }
