package standin;

import static org.springframework.security.config.Customizer.withDefaults;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;

/** Flowable's engine and REST API, with the login of its REST application: one user, by the same settings. */
@SpringBootApplication
public class App {
    public static void main(String[] arguments) {
        SpringApplication.run(App.class, arguments);
    }

    @Bean
    UserDetailsService users(
            @Value("${flowable.rest.app.admin.user-id:rest-admin}") String name,
            @Value("${flowable.rest.app.admin.password:test}") String password) {
        return new InMemoryUserDetailsManager(
                User.withUsername(name).password("{noop}" + password).authorities("access-rest-api").build());
    }

    @Bean
    SecurityFilterChain everything(HttpSecurity http) throws Exception {
        return http.csrf(csrf -> csrf.disable())
                .authorizeHttpRequests(request -> request.anyRequest().authenticated())
                .httpBasic(withDefaults())
                .build();
    }
}
