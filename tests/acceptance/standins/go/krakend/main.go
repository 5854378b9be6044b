// The engine of KrakenD, Lura 2, with what the catalogue's configuration needs of the rest: krakend run|check -c FILE
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gin-gonic/gin"
	viper "github.com/krakendio/krakend-viper/v2"
	"github.com/luraproject/lura/v2/config"
	"github.com/luraproject/lura/v2/logging"
	"github.com/luraproject/lura/v2/proxy"
	router "github.com/luraproject/lura/v2/router/gin"
	server "github.com/luraproject/lura/v2/transport/http/server"
)

func main() {
	if len(os.Args) != 4 || os.Args[2] != "-c" {
		log.Fatal("usage: krakend run|check -c FILE")
	}
	settings, err := viper.New().Parse(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	if os.Args[1] == "check" {
		fmt.Println("Syntax OK!")
		return
	}
	logger, err := logging.NewLogger("INFO", os.Stdout, "[KRAKEND]")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	gin.SetMode(gin.ReleaseMode)
	router.NewFactory(router.Config{
		Engine:         router.NewEngine(settings, router.EngineOptions{Logger: logger, Writer: os.Stdout}),
		Middlewares:    []gin.HandlerFunc{},
		HandlerFactory: guarded,
		ProxyFactory:   proxy.DefaultFactory(logger),
		Logger:         logger,
		RunServer:      server.RunServer,
	}).NewWithContext(ctx).Run(settings)
}

// guarded asks for a token where the endpoint has "auth/validator".
func guarded(endpoint *config.EndpointConfig, next proxy.Proxy) gin.HandlerFunc {
	handle := router.EndpointHandler(endpoint, next)
	wanted, ok := endpoint.ExtraConfig["auth/validator"].(map[string]interface{})
	if !ok {
		return handle
	}
	keys := keySet{url: fmt.Sprint(wanted["jwk_url"])}
	issuer, _ := wanted["issuer"].(string)
	return func(c *gin.Context) {
		token, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
		if err := keys.check(token, issuer); err != nil {
			c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": err.Error()})
			return
		}
		handle(c)
	}
}
