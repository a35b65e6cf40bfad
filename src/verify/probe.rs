pub struct Prober;
pub struct ProberConfig;
