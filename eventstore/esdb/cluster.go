package esdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// gossipWithin is how long a node may take to say what it knows of the others.
const gossipWithin = 2 * time.Second

// cluster asks the nodes of a cluster which of them leads. The client would ask
// them one after the other in a random order, with seconds for one that hangs,
// and does not say where it has gone.
type cluster struct {
	config client.Configuration
	creds  credentials.TransportCredentials

	mu sync.Mutex
	// nodes are those of the connection string, and those that gossip has
	// told of last.
	seeds, members []string
}

// newCluster returns nil for a connection string that names a single node: then
// it is that node or none.
func newCluster(config client.Configuration) (*cluster, error) {
	c := &cluster{config: config}
	for _, seed := range config.GossipSeeds {
		c.seeds = append(c.seeds, seed.String())
	}
	if len(c.seeds) == 0 && config.DnsDiscover {
		c.seeds = []string{config.Address}
	}
	if len(c.seeds) == 0 {
		return nil, nil
	}
	if config.DisableTLS {
		c.creds = insecure.NewCredentials()
		return c, nil
	}
	settings := &tls.Config{RootCAs: config.RootCAs, InsecureSkipVerify: config.SkipCertificateVerification}
	if config.UserCertFile != "" {
		certificate, err := tls.LoadX509KeyPair(config.UserCertFile, config.UserKeyFile)
		if err != nil {
			return nil, fmt.Errorf("the user's certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{certificate}
	}
	c.creds = credentials.NewTLS(settings)
	return c, nil
}

// told is what one node says of all.
type told struct {
	by      string
	members []*gossip.MemberInfo
	err     error
}

// ask asks all nodes but one at the same time. The channel gets as many answers
// as were asked.
func (c *cluster) ask(ctx context.Context, except string) (_ <-chan told, asked int) {
	c.mu.Lock()
	nodes := slices.Concat(c.seeds, c.members)
	c.mu.Unlock()
	slices.Sort(nodes)
	nodes = slices.DeleteFunc(slices.Compact(nodes), func(node string) bool { return node == except })
	answers := make(chan told, len(nodes))
	for _, node := range nodes {
		go func() {
			members, err := c.gossip(ctx, node)
			answers <- told{node, members, err}
		}()
	}
	return answers, len(nodes)
}

func (c *cluster) gossip(ctx context.Context, node string) ([]*gossip.MemberInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, gossipWithin)
	defer cancel()
	connection, err := grpc.NewClient(node, grpc.WithTransportCredentials(c.creds))
	if err != nil {
		return nil, fmt.Errorf("ask %s who leads: %w", node, err)
	}
	defer connection.Close()
	info, err := gossip.NewGossipClient(connection).Read(ctx, &shared.Empty{})
	if err != nil {
		return nil, fmt.Errorf("ask %s who leads: %w", node, diagnosed(ctx, c.config, node, err))
	}
	return info.GetMembers(), nil
}

func addressOf(member *gossip.MemberInfo) string {
	at := member.GetHttpEndPoint()
	return net.JoinHostPort(at.GetAddress(), strconv.FormatUint(uint64(at.GetPort()), 10))
}

// learn remembers the nodes that one of them has named.
func (c *cluster) learn(members []*gossip.MemberInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = nil
	for _, member := range members {
		if member.GetIsAlive() && member.GetState() != gossip.MemberInfo_Manager {
			c.members = append(c.members, addressOf(member))
		}
	}
}

// find returns the address of the node to connect to: one of the wanted kind as
// soon as a node names one, or else, when all have answered, any that serves.
func (c *cluster) find(ctx context.Context, wanted client.NodePreference) (string, error) {
	answers, asked := c.ask(ctx, "")
	second, errs := "", []error(nil)
	for range asked {
		answer := <-answers
		if answer.err != nil {
			errs = append(errs, answer.err)
			continue
		}
		c.learn(answer.members)
		address, exact := choose(answer.members, wanted)
		if exact {
			return address, nil
		}
		if second == "" {
			second = address
		}
	}
	if second != "" {
		return second, nil
	}
	errs = append(errs, errors.New("no node of the cluster names one that serves"))
	for _, err := range errs[:len(errs)-1] {
		if code, _ := meaning(err); code == fault.StoreFailed {
			return "", partlyAway{errors.Join(errs...)}
		}
	}
	return "", errors.Join(errs...)
}

// choose returns the best node that serves, and whether it is of the wanted
// kind.
func choose(members []*gossip.MemberInfo, wanted client.NodePreference) (address string, exact bool) {
	kinds := map[client.NodePreference][]gossip.MemberInfo_VNodeState{
		client.NodePreferenceLeader:   {gossip.MemberInfo_Leader},
		client.NodePreferenceFollower: {gossip.MemberInfo_Follower},
		client.NodePreferenceReadOnlyReplica: {
			gossip.MemberInfo_ReadOnlyLeaderless, gossip.MemberInfo_PreReadOnlyReplica, gossip.MemberInfo_ReadOnlyReplica,
		},
	}
	serving := slices.Concat(kinds[client.NodePreferenceLeader], kinds[client.NodePreferenceFollower], kinds[client.NodePreferenceReadOnlyReplica])
	if wanted == client.NodePreferenceRandom {
		kinds[wanted] = serving
	}
	for _, member := range shuffled(members) {
		if !member.GetIsAlive() || !slices.Contains(serving, member.GetState()) {
			continue
		}
		if slices.Contains(kinds[wanted], member.GetState()) {
			return addressOf(member), true
		}
		if address == "" {
			address = addressOf(member)
		}
	}
	return address, false
}

// otherLeader asks all nodes but one who leads, and returns the one that most of
// them name, if it is another than that one; "" if it is not, or if nobody can
// tell.
func (c *cluster) otherLeader(ctx context.Context, than string) string {
	answers, asked := c.ask(ctx, than)
	votes := make(map[string]int)
	for range asked {
		answer := <-answers
		for _, member := range answer.members {
			if member.GetIsAlive() && member.GetState() == gossip.MemberInfo_Leader {
				votes[addressOf(member)]++
			}
		}
	}
	leader, most, equal := "", 0, false
	for address, count := range votes {
		switch {
		case count > most:
			leader, most, equal = address, count, false
		case count == most:
			equal = true
		}
	}
	if equal || leader == than {
		return ""
	}
	return leader
}
