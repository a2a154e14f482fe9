/** What a person signs in with. */
export interface Credentials {
  email: string;
  password: string;
}

/** What a new account needs. */
export interface Registration extends Credentials {
  name: string;
}

/** Another password, by whoever knows the one before. */
export interface PasswordChange {
  current: string;
  new: string;
}
