# XEP-0289 5.6, listing 11: a private message to an occupant of another node
level core node real
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user ophelia ophelia@denmark.lit/river

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
ophelia joins elsinore@talk.denmark.lit as Ophelia
hamlet sends
  <message type='chat' to='elsinore@talk.denmark.lit/Alice' id='p1'>
    <body>Hi, I want to say something in private</body></message>
denmark sends wonderland
  <message type='chat' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Alice' id='p1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <body>Hi, I want to say something in private</body></message>
alice receives
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='p1'>
    <body>Hi, I want to say something in private</body><x xmlns='http://jabber.org/protocol/muc#user'/></message>
hamlet receives nothing
ophelia receives nothing

alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Hamlet' id='p2'><body>Do</body></message>
wonderland sends denmark
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit/Hamlet' id='p2'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/><body>Do</body></message>
hamlet receives
  <message type='chat' from='elsinore@talk.denmark.lit/Alice' id='p2'><body>Do</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
ophelia receives nothing
