package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// keySet is what an identity server publishes, read again when a token names a key that isn't in it.
type keySet struct {
	url  string
	lock sync.Mutex
	keys map[string]*rsa.PublicKey
}

func (s *keySet) key(id string) (*rsa.PublicKey, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if key := s.keys[id]; key != nil {
		return key, nil
	}
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Get(s.url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var published struct {
		Keys []struct{ Kid, Kty, N, E string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&published); err != nil {
		return nil, err
	}
	s.keys = map[string]*rsa.PublicKey{}
	for _, key := range published.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(key.N)
		e, errE := base64.RawURLEncoding.DecodeString(key.E)
		if key.Kty == "RSA" && errN == nil && errE == nil {
			s.keys[key.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		}
	}
	if key := s.keys[id]; key != nil {
		return key, nil
	}
	return nil, errors.New("unknown key")
}

// check is RS256 with issuer and lifetime.
func (s *keySet) check(token, issuer string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("a token is needed")
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss string
		Exp int64
	}
	if err := decode(parts[0], &header); err != nil {
		return err
	}
	if err := decode(parts[1], &claims); err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	if header.Alg != "RS256" {
		return errors.New("not RS256")
	}
	key, err := s.key(header.Kid)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil:
		return errors.New("wrong signature")
	case issuer != "" && claims.Iss != issuer:
		return errors.New("another issuer")
	case claims.Exp < time.Now().Unix():
		return errors.New("expired")
	}
	return nil
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
